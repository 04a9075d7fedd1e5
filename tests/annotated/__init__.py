"""Writers of annotations: masks of known pixels in every notation, for the readers to be tested against."""
