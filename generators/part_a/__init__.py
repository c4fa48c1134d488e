"""Part A: experiments with a pretrained cascade that makes pictures from text."""
