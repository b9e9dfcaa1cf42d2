"""What files must look like and what is made of them, as a pipeline's folder says."""
