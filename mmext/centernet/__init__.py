"""CenterNet, both families: keypoint triplets (Duan 2019) and objects as points (Zhou 2019)."""
