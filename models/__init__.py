"""STEPS 5 and 6: fitted table to calibrated score and explanation. Code only; fitted artefacts live in MLflow."""
