"""UPSNet: unified panoptic segmentation (Xiong et al., CVPR 2019)."""
