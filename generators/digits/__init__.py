"""Small diffusion models on 28×28 digits: data, network, training."""
