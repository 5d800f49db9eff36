"""Backends, devices, files and folders."""
