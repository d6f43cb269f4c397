"""The same plugins, each breaking one promise: the contract checks must say which."""
