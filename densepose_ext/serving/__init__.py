"""A local web page and JSON API that find people in pictures: ``densepose-ext serve``."""
