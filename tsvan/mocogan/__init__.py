"""MoCoGAN, the model that TwoStreamVAN is compared with."""
