"""HDF5 files, through h5py."""
