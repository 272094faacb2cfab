"""STEP 4: takes the table and labels, gives a registered bundle."""
