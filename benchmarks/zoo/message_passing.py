"""Graph networks by scatter, as PyTorch Geometric computes them without its extensions."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


def scatter_sum(messages: torch.Tensor, target: torch.Tensor, nodes: int) -> torch.Tensor:
    """Messages added up at the node that each goes to."""
    start = torch.zeros(nodes, messages.shape[1], dtype=messages.dtype, device=messages.device)
    return start.index_add(0, target, messages)


def in_degree(target: torch.Tensor, nodes: int, dtype: torch.dtype) -> torch.Tensor:
    """Edges that end at each node."""
    ones = torch.ones(target.shape[0], dtype=dtype, device=target.device)
    return torch.zeros(nodes, dtype=dtype, device=target.device).scatter_add(0, target, ones)


class GraphConvolution(nn.Module):
    """GCN: neighbors weighted by the degrees of both ends."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 4)

    def forward(self, features: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        """Scores for every node."""
        return self._pass(self._pass(features, edges, self.first).relu(), edges, self.second)

    def _pass(self, features: torch.Tensor, edges: torch.Tensor, layer: nn.Module) -> torch.Tensor:
        nodes, (source, target) = features.shape[0], (edges[0], edges[1])
        scale = (in_degree(target, nodes, features.dtype) + 1).rsqrt()
        hidden = layer(features)
        weights = (scale[source] * scale[target]).unsqueeze(1)
        messages = hidden[source] * weights
        own = hidden * (scale * scale).unsqueeze(1)
        total: torch.Tensor = scatter_sum(messages, target, nodes) + own
        return total


class GraphAttention(nn.Module):
    """GAT: a softmax over the edges that end at a node."""

    def __init__(self, heads: int = 2, width: int = 4) -> None:
        super().__init__()
        self.heads, self.width = heads, width
        self.layer = nn.Linear(6, heads * width, bias=False)
        self.from_source = nn.Parameter(torch.randn(heads, width))
        self.from_target = nn.Parameter(torch.randn(heads, width))

    def forward(self, features: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        """New features for every node."""
        nodes, (source, target) = features.shape[0], (edges[0], edges[1])
        hidden = self.layer(features).view(nodes, self.heads, self.width)
        scores = (hidden * self.from_source).sum(-1)[source]
        scores = functional.leaky_relu(scores + (hidden * self.from_target).sum(-1)[target], 0.2)
        index = target.unsqueeze(1).expand_as(scores)
        most = torch.full((nodes, self.heads), float("-inf"), dtype=scores.dtype)
        most = most.scatter_reduce(0, index, scores, "amax")
        weights = (scores - most[target]).exp()
        weights = weights / scatter_sum(weights, target, nodes)[target]
        messages = (hidden[source] * weights.unsqueeze(-1)).view(-1, self.heads * self.width)
        return functional.elu(scatter_sum(messages, target, nodes))


class GraphSage(nn.Module):
    """GraphSAGE: a node beside the mean of its neighbors."""

    def __init__(self) -> None:
        super().__init__()
        self.own, self.others = nn.Linear(6, 8), nn.Linear(6, 8)

    def forward(self, features: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        """New features for every node, of length one."""
        nodes, (source, target) = features.shape[0], (edges[0], edges[1])
        total = scatter_sum(features[source], target, nodes)
        count = in_degree(target, nodes, features.dtype).clamp(min=1).unsqueeze(1)
        return functional.normalize(self.own(features) + self.others(total / count), dim=-1)
