"""Networks: by name or given, their layers, and features of pictures as grids."""

from vfs_panel.models.editing import edit_network
from vfs_panel.models.extractor import Extractor, to_input
from vfs_panel.models.functions import network_from_function
from vfs_panel.models.grid import to_grid
from vfs_panel.models.layers import LayerInfo, expand_layers, list_layers
from vfs_panel.models.receptive_field import receptive_field_px
from vfs_panel.models.registry import register_network
from vfs_panel.models.zoo import Network, find_networks, load_network, network_names

__all__ = [
    "Extractor",
    "LayerInfo",
    "Network",
    "edit_network",
    "expand_layers",
    "find_networks",
    "list_layers",
    "load_network",
    "network_from_function",
    "network_names",
    "receptive_field_px",
    "register_network",
    "to_grid",
    "to_input",
]
