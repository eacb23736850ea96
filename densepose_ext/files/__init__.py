"""Reading and writing files safely: whole or not at all, cached by content, pickles restricted."""
