"""The verbs: adopt, update, judge, promote, roll back."""
