"""Methods of protocols, one module each."""
