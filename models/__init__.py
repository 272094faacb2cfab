"""STEPS 5 and 6: takes the fitted table, gives a calibrated score and its explanation.

Code only: fitted artefacts live in MLflow, never here.
"""
