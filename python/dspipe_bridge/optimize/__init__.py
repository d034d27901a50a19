"""DSPy's optimizers, for a host that runs the workflow, calls the LMs and scores the results."""
