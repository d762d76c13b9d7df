"""Another light, another domain: pictures changed so that detectors work there."""
