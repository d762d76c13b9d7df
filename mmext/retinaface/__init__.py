"""RetinaFace: faces with landmarks, mesh and attributes in one pass (Deng et al., CVPR 2020)."""
