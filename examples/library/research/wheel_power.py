"""Power of the Sallow Weir wheel from the gate opening, for the display in the tea room."""

from __future__ import annotations

HEAD_METRES = 1.83
GRAVITY = 9.81
# Efficiency by gate opening in millimetres, from the rope-brake trials of May 2022.
EFFICIENCY = {60: 0.424, 90: 0.574, 120: 0.651, 150: 0.597}


def flow_litres_per_second(gate_mm: float) -> float:
    """Flow through the penstock; the gate was calibrated with a bucket, a barrel and a fire pump."""
    return 3.78 * gate_mm - 12.0


def efficiency(gate_mm: float) -> float:
    """Interpolate between the measured openings; outside them the nearest measurement holds."""
    points = sorted(EFFICIENCY)
    if gate_mm <= points[0]:
        return EFFICIENCY[points[0]]
    for low, high in zip(points, points[1:]):
        if gate_mm <= high:
            share = (gate_mm - low) / (high - low)
            return EFFICIENCY[low] + share * (EFFICIENCY[high] - EFFICIENCY[low])
    return EFFICIENCY[points[-1]]


def shaft_kilowatts(gate_mm: float) -> float:
    """Power at the wheel shaft for a gate opening."""
    return GRAVITY * flow_litres_per_second(gate_mm) / 1000 * HEAD_METRES * efficiency(gate_mm)


def kettles(gate_mm: float, kettle_kilowatts: float = 2.2) -> int:
    """How many tea-room kettles the wheel could boil, the unit visitors ask for."""
    return int(shaft_kilowatts(gate_mm) // kettle_kilowatts)
