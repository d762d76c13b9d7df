"""Names and shapes of the detection part of detectron2's ``*_FPN`` models."""

Shapes = dict[str, tuple[int, ...]]


def with_bias(shapes: Shapes, name: str, *shape: int, outputs: int | None = None) -> None:
    """A layer's weight and bias; ``outputs`` where they are not the first side."""
    shapes[f'{name}.weight'], shapes[f'{name}.bias'] = shape, (outputs or shape[0],)


def detector_shapes(blocks: tuple[int, ...] = (3, 4, 6, 3)) -> Shapes:
    """ResNet of so many blocks, pyramid, proposals, boxes of one class, and what is dropped."""
    shapes: Shapes = {'pixel_mean': (3, 1, 1), 'pixel_std': (3, 1, 1)}

    def conv(name: str, out: int, before: int, kernel: int) -> None:
        shapes[f'{name}.weight'] = (out, before, kernel, kernel)
        for field in ('weight', 'bias', 'running_mean', 'running_var'):
            shapes[f'{name}.norm.{field}'] = (out,)

    conv('backbone.bottom_up.stem.conv1', 64, 3, 7)
    before = 64
    for stage, count in zip(range(2, 6), blocks, strict=True):
        out = 256 * 2 ** (stage - 2)
        for block in range(count):
            name = f'backbone.bottom_up.res{stage}.{block}'
            if block == 0:
                conv(f'{name}.shortcut', out, before, 1)
            conv(f'{name}.conv1', out // 4, before, 1)
            conv(f'{name}.conv2', out // 4, out // 4, 3)
            conv(f'{name}.conv3', out, out // 4, 1)
            before = out
        with_bias(shapes, f'backbone.fpn_lateral{stage}', 256, out, 1, 1)
        with_bias(shapes, f'backbone.fpn_output{stage}', 256, 256, 3, 3)
    heads = (('conv', 256, 3), ('objectness_logits', 3, 1), ('anchor_deltas', 12, 1))
    for name, out, kernel in heads:
        with_bias(shapes, f'proposal_generator.rpn_head.{name}', out, 256, kernel, kernel)
    with_bias(shapes, 'roi_heads.box_head.fc1', 1024, 12544)
    with_bias(shapes, 'roi_heads.box_head.fc2', 1024, 1024)
    with_bias(shapes, 'roi_heads.box_predictor.cls_score', 2, 1024)
    with_bias(shapes, 'roi_heads.box_predictor.bbox_pred', 4, 1024)
    for level in range(5):
        shapes[f'proposal_generator.anchor_generator.cell_anchors.{level}'] = (3, 4)
    return shapes
