"""What to try next and who goes on: HyperOpt and ASHA under Ray Tune."""
