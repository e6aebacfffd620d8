//! Samples to histograms to merge to summary to verdict, without clock or input and output.
