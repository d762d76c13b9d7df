"""VPSNet: video panoptic segmentation (Kim et al., CVPR 2020)."""
