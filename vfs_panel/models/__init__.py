"""Networks: by name or given, their layers, and features of pictures as grids."""

from vfs_panel.models.extractor import Extractor
from vfs_panel.models.grid import to_grid
from vfs_panel.models.layers import LayerInfo, list_layers
from vfs_panel.models.zoo import Network, load_network, network_names

__all__ = ["Extractor", "LayerInfo", "Network", "list_layers", "load_network", "network_names", "to_grid"]
