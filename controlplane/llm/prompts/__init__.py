"""What language models are told to do: templates in files, and the library that reads them."""
