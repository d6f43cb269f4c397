"""What the doctor looks at, one function a check, and how what is broken is mended."""
