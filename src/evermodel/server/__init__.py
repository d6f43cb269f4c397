"""The inference server: answers requests with the version in service, and changes it without a dropped one."""
