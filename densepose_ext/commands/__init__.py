"""The commands of ``densepose-ext``, one module each."""
