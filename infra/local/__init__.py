"""The root as a folder of this machine."""
