package io.nativenorm.libraries;

import io.nativenorm.BatchNorm;
import io.nativenorm.GroupNorm;
import io.nativenorm.LayerNorm;
import io.nativenorm.Layout;
import io.nativenorm.NormLayer;
import io.nativenorm.Tensor;
import java.util.function.Supplier;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/** Layers against PyTorch's operators, on tensors of PyTorch's. */
final class PyTorchTimes {
  private PyTorchTimes() {}

  public static void main(String[] arguments) throws Exception {
    for (int count : new int[] {1, 128, 1024}) {
      Rows rows = Rows.of(count, 768);
      TensorOptional weight = optional(rows.weight());
      TensorOptional bias = optional(rows.bias());
      org.bytedeco.pytorch.Tensor x = tensor(rows.x(), rows.shape());
      long[] length = {768};
      try (LayerNorm norm = rows.layerNorm()) {
        race(
            "LayerNorm " + count + " x 768",
            norm,
            x,
            rows.expected(),
            () -> torch.layer_norm(x, length, weight, bias, Rows.EPS, false));
      }
    }
    Images images = Images.of(8, 64, 56, 56);
    for (Layout layout : Layout.values()) {
      TensorOptional weight = optional(images.weight());
      TensorOptional bias = optional(images.bias());
      TensorOptional mean = optional(images.mean());
      TensorOptional variance = optional(images.variance());
      org.bytedeco.pytorch.Tensor first = tensor(images.x(), images.shape());
      org.bytedeco.pytorch.Tensor x =
          layout == Layout.CHANNELS_FIRST
              ? first
              : first.contiguous(torch.MemoryFormat.ChannelsLast);
      try (BatchNorm norm = images.batchNorm()) {
        race(
            "BatchNorm 8 x 64 x 56 x 56 " + layout,
            norm,
            x,
            images.in(layout, images.batchNormalized()),
            () -> torch.batch_norm(x, weight, bias, mean, variance, false, 0.1, Images.EPS, false));
      }
      try (GroupNorm norm = images.groupNorm(32)) {
        race(
            "GroupNorm(32) 8 x 64 x 56 x 56 " + layout,
            norm,
            x,
            images.in(layout, images.groupNormalized(32)),
            () -> torch.group_norm(x, 32, weight, bias, Images.EPS, false));
      }
    }
  }

  private static org.bytedeco.pytorch.Tensor tensor(float[] values, long... shape) {
    try (org.bytedeco.pytorch.Tensor onPointer = torch.from_blob(new FloatPointer(values), shape)) {
      return onPointer.clone();
    }
  }

  private static TensorOptional optional(float[] values) {
    return new TensorOptional(tensor(values, values.length));
  }

  private static float[] values(org.bytedeco.pytorch.Tensor tensor) {
    float[] values = new float[(int) tensor.numel()];
    new FloatPointer(tensor.data_ptr()).get(values);
    return values;
  }

  private static void race(
      String what,
      NormLayer layer,
      org.bytedeco.pytorch.Tensor x,
      float[] expected,
      Supplier<org.bytedeco.pytorch.Tensor> theirs)
      throws Exception {
    try (org.bytedeco.pytorch.Tensor y = torch.empty_like(x);
        org.bytedeco.pytorch.Tensor result = theirs.get();
        Tensor from = PyTorchTensors.wrap(x);
        Tensor to = PyTorchTensors.wrap(y)) {
      layer.forward(from, to);
      Answers.requireRight("NativeNorm", values(y), expected);
      Answers.requireRight("PyTorch", values(result), expected);
      Turns.race(
          what,
          new Turns.Call("NativeNorm", () -> layer.forward(from, to)),
          new Turns.Call(
              "NativeNorm, result allocated by PyTorch and both wrapped",
              () -> {
                try (org.bytedeco.pytorch.Tensor made = torch.empty_like(x);
                    Tensor in = PyTorchTensors.wrap(x);
                    Tensor out = PyTorchTensors.wrap(made)) {
                  layer.forward(in, out);
                }
              }),
          new Turns.Call("PyTorch", () -> theirs.get().close()));
    }
  }
}
