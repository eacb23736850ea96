"""The commands of ``densepose-ext``: one module a command, each a thin shell over the library."""
