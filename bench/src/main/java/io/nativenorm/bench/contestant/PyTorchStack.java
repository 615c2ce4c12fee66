package io.nativenorm.bench.contestant;

import io.nativenorm.bench.Cell;
import io.nativenorm.bench.Contestant;
import io.nativenorm.bench.Operation;
import io.nativenorm.bench.Results;
import io.nativenorm.bench.Workload;
import org.bytedeco.javacpp.BoolPointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.T_TensorTensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/** The same on PyTorch's operators, in the same order. */
public final class PyTorchStack implements Contestant.Session {
  /** Owns what the constructor makes. */
  private final PointerScope scope = new PointerScope();

  private final Cell cell;
  private final Tensor x;
  private final Tensor dy;
  private final TensorOptional weight;
  private final TensorOptional bias;
  private final TensorOptional[] runningMeans;
  private final TensorOptional[] runningVariances;

  /** Which gradients are wanted: input, weight, bias. */
  private final BoolPointer all = new BoolPointer(3);

  /** Output, mean, 1 / deviation of each layer. */
  private final T_TensorTensorTensor_T[] passes;

  /** Of the last step: output, gradient of the input, and those of the last layer's parameters. */
  private final Tensor[] results = new Tensor[4];

  public PyTorchStack(Workload workload, int depth) {
    scope.extend(); // past the end of the constructor, where it leaves the thread's stack of scopes
    torch.set_num_threads(workload.threads());
    cell = workload.cell();
    x = torch.from_blob(new FloatPointer(workload.x()), cell.extents());
    dy = torch.from_blob(new FloatPointer(workload.dy()), cell.extents());
    weight = optional(workload.weight());
    bias = optional(workload.bias());
    runningMeans = new TensorOptional[depth];
    runningVariances = new TensorOptional[depth];
    for (int i = 0; i < depth; i++) {
      runningMeans[i] = optional(new float[cell.channels()]);
      runningVariances[i] = optional(new float[cell.channels()]);
    }
    passes = new T_TensorTensorTensor_T[depth];
    all.put(0, true).put(1, true).put(2, true);
    scope.close();
  }

  private static TensorOptional optional(float[] values) {
    return new TensorOptional(torch.from_blob(new FloatPointer(values), values.length));
  }

  @Override
  public void call() {
    free();
    for (int i = 0; i < passes.length; i++) {
      passes[i] = forward(i, input(i));
    }
    results[0] = new Tensor(passes[passes.length - 1].get0());
    T_TensorTensorTensor_T last = null;
    for (int i = passes.length - 1; i >= 0; i--) {
      T_TensorTensorTensor_T next = backward(i, last == null ? dy : last.get0());
      if (last == null) {
        results[2] = new Tensor(next.get1());
        results[3] = new Tensor(next.get2());
      } else {
        last.close();
      }
      last = next;
      passes[i].close();
    }
    results[1] = new Tensor(last.get0());
    last.close();
  }

  private Tensor input(int layer) {
    return layer == 0 ? x : passes[layer - 1].get0();
  }

  private T_TensorTensorTensor_T forward(int layer, Tensor input) {
    return cell.operation() == Operation.BATCH
        ? torch.native_batch_norm(
            input,
            weight,
            bias,
            runningMeans[layer],
            runningVariances[layer],
            true,
            Workload.MOMENTUM,
            Workload.EPS)
        : torch.native_layer_norm(input, new long[] {cell.channels()}, weight, bias, Workload.EPS);
  }

  private T_TensorTensorTensor_T backward(int layer, Tensor gradient) {
    Tensor mean = passes[layer].get1();
    Tensor inverse = passes[layer].get2();
    if (cell.operation() == Operation.LAYER) {
      return torch.native_layer_norm_backward(
          gradient, input(layer), new long[] {cell.channels()}, mean, inverse, weight, bias, all);
    }
    try (TensorOptional optionalMean = new TensorOptional(mean);
        TensorOptional optionalInverse = new TensorOptional(inverse)) {
      return torch.native_batch_norm_backward(
          gradient,
          input(layer),
          weight,
          runningMeans[layer],
          runningVariances[layer],
          optionalMean,
          optionalInverse,
          true,
          Workload.EPS,
          all);
    }
  }

  @Override
  public Results results() {
    return Results.step(flat(results[0]), flat(results[1]), flat(results[2]), flat(results[3]));
  }

  private static float[] flat(Tensor values) {
    float[] copy = new float[(int) values.numel()];
    new FloatPointer(values.data_ptr()).get(copy); // dense, in the order of its extents
    return copy;
  }

  private void free() {
    for (int i = 0; i < results.length && results[i] != null; i++) {
      results[i].close();
    }
  }

  @Override
  public void close() {
    free();
    scope.close();
  }
}
