"""Part B: small networks trained from scratch on handwritten digits."""
