"""The experiment section of the paper (Ning et al., RecSys 2017), done again on the data at hand."""
