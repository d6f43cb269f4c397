"""What a check does, one step a file: named in the policy's ``steps``, in that order; others come by entry point."""
