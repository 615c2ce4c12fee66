package io.nativenorm.bench.contestant;

import io.nativenorm.bench.Contestant;
import io.nativenorm.bench.Results;
import io.nativenorm.bench.Workload;
import org.bytedeco.javacpp.BoolPointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.T_TensorTensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/**
 * The same on PyTorch's operators, in the same order: on tensors that are there, or with the arrays
 * copied into them and out.
 */
public final class PyTorchBlock implements Contestant.Session {
  /** Owns what the constructor makes. */
  private final PointerScope scope = new PointerScope();

  private final boolean copies;
  private final Layer first;
  private final Layer second;
  private final Scalar zero = new Scalar(0f);

  /** Which gradients are wanted: input, weight, bias. */
  private final BoolPointer all = new BoolPointer(3);

  /** One layer's tensors, and those of its last step. */
  private static final class Layer {
    final BlockArrays arrays;
    final FloatPointer xMemory;
    final FloatPointer dyMemory;
    final Tensor x;
    final Tensor dy;
    final TensorOptional weight;
    final TensorOptional bias;
    final TensorOptional runningMean;
    final TensorOptional runningVariance;

    /** Output, mean, 1 / deviation; and the three gradients. */
    T_TensorTensorTensor_T forward;

    T_TensorTensorTensor_T gradients;

    /** The output after an activation, or null. */
    Tensor activated;

    Layer(Workload workload) {
      arrays = new BlockArrays(workload);
      xMemory = new FloatPointer(arrays.x);
      dyMemory = new FloatPointer(arrays.dy);
      x = torch.from_blob(xMemory, workload.cell().extents());
      dy = torch.from_blob(dyMemory, workload.cell().extents());
      weight = optional(workload.weight());
      bias = optional(workload.bias());
      runningMean = optional(new float[arrays.dWeight.length]);
      runningVariance = optional(new float[arrays.dWeight.length]);
    }

    private static TensorOptional optional(float[] values) {
      return new TensorOptional(torch.from_blob(new FloatPointer(values), values.length));
    }

    Tensor output() {
      return activated != null ? activated : forward.get0();
    }

    void free() {
      if (forward != null) {
        forward.close();
        gradients.close();
      }
      if (activated != null) {
        activated.close();
      }
    }

    void readInto(float[] y, float[] dx) {
      read(output(), y);
      read(gradients.get0(), dx);
      read(gradients.get1(), arrays.dWeight);
      read(gradients.get2(), arrays.dBias);
    }

    static void read(Tensor from, float[] to) {
      new FloatPointer(from.data_ptr()).get(to);
    }
  }

  public PyTorchBlock(Workload firstLayer, Workload secondLayer, boolean copies) {
    scope.extend(); // past the end of the constructor, where it leaves the thread's stack of scopes
    torch.set_num_threads(firstLayer.threads());
    this.copies = copies;
    first = new Layer(firstLayer);
    second = new Layer(secondLayer);
    all.put(0, true).put(1, true).put(2, true);
    scope.close();
  }

  @Override
  public void call() {
    first.free();
    second.free();
    forward(first, true);
    forward(second, false);
    backward(second, false);
    backward(first, true);
  }

  private void forward(Layer layer, boolean relu) {
    if (copies) {
      layer.xMemory.put(layer.arrays.x);
    }
    layer.forward =
        torch.native_batch_norm(
            layer.x,
            layer.weight,
            layer.bias,
            layer.runningMean,
            layer.runningVariance,
            true,
            Workload.MOMENTUM,
            Workload.EPS);
    layer.activated = relu ? torch.relu_(layer.forward.get0()) : null;
    if (copies) {
      Layer.read(layer.output(), layer.arrays.y);
    }
  }

  private void backward(Layer layer, boolean relu) {
    if (copies) {
      layer.dyMemory.put(layer.arrays.dy);
    }
    Tensor cut = relu ? torch.threshold_backward(layer.dy, layer.output(), zero) : null;
    try (TensorOptional mean = new TensorOptional(layer.forward.get1());
        TensorOptional inverse = new TensorOptional(layer.forward.get2())) {
      layer.gradients =
          torch.native_batch_norm_backward(
              relu ? cut : layer.dy,
              layer.x,
              layer.weight,
              layer.runningMean,
              layer.runningVariance,
              mean,
              inverse,
              true,
              Workload.EPS,
              all);
    }
    if (relu) {
      cut.close();
    }
    if (copies) {
      Layer.read(layer.gradients.get0(), layer.arrays.dx);
    }
  }

  @Override
  public Results results() {
    first.readInto(first.arrays.y, first.arrays.dx);
    second.readInto(second.arrays.y, second.arrays.dx);
    return BlockArrays.results(first.arrays, second.arrays);
  }

  @Override
  public void close() {
    first.free();
    second.free();
    scope.close();
  }
}
