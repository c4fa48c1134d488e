"""The theory page: closed forms of one dimension, where every claim can be computed exactly."""
