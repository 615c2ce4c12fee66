package io.nativenorm.bench.contestant;

import io.nativenorm.bench.Cell;
import io.nativenorm.bench.Contestant;
import io.nativenorm.bench.Direction;
import io.nativenorm.bench.Operation;
import io.nativenorm.bench.Results;
import io.nativenorm.bench.Workload;
import org.bytedeco.javacpp.BoolPointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.T_TensorTensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/** PyTorch's operators on a workload. Each call allocates its results, as they always do. */
final class PyTorchSession implements Contestant.Session {
  /** Owns what the constructor makes. */
  private final PointerScope scope = new PointerScope();

  private final Cell cell;
  private final Tensor x;
  private final Tensor dy;
  private final TensorOptional weight;
  private final TensorOptional bias;
  private final Tensor runningMean;
  private final Tensor runningVariance;
  private final TensorOptional optionalRunningMean;
  private final TensorOptional optionalRunningVariance;
  private final DoubleOptional eps = new DoubleOptional(Workload.EPS);

  /** Which gradients are wanted: input, weight, bias. */
  private final BoolPointer all = new BoolPointer(3);

  /** Of the training pass before backward: mean and 1 / deviation. */
  private Tensor savedMean;

  private Tensor savedInverse;
  private TensorOptional optionalSavedMean;
  private TensorOptional optionalSavedInverse;

  /** Output, mean, 1 / deviation; or the three gradients. RMS normalization has only an output. */
  private T_TensorTensorTensor_T results;

  private Tensor output;

  PyTorchSession(Workload workload) {
    scope.extend(); // past the end of the constructor, where it leaves the thread's stack of scopes
    torch.set_num_threads(workload.threads());
    cell = workload.cell();
    x = tensor(workload.x());
    dy = tensor(workload.dy());
    weight = new TensorOptional(vector(workload.weight()));
    bias = optional(workload.bias());
    runningMean = vector(workload.runningMean());
    runningVariance = vector(workload.runningVariance());
    optionalRunningMean = optional(runningMean);
    optionalRunningVariance = optional(runningVariance);
    for (int i = 0; i < 3; i++) {
      all.put(i, true);
    }
    if (cell.direction() == Direction.BACKWARD) {
      T_TensorTensorTensor_T pass = forward();
      savedMean = pass.get1();
      savedInverse = pass.get2();
      optionalSavedMean = new TensorOptional(savedMean);
      optionalSavedInverse = new TensorOptional(savedInverse);
    }
    scope.close();
  }

  /** A tensor over memory outside the heap, in the memory order of the cell. */
  private Tensor tensor(float[] values) {
    return torch.from_blob(new FloatPointer(values), cell.extents(), strides()).to(type());
  }

  /**
   * Floats whatever the cell's type, as NativeNorm's: it takes either, and these a little faster.
   */
  private static Tensor vector(float[] values) {
    return values == null ? null : torch.from_blob(new FloatPointer(values), values.length);
  }

  private torch.ScalarType type() {
    return switch (cell.type()) {
      case BF16 -> torch.ScalarType.BFloat16;
      case F16 -> torch.ScalarType.Half;
      default -> torch.ScalarType.Float;
    };
  }

  private static TensorOptional optional(float[] values) {
    return optional(vector(values));
  }

  private static TensorOptional optional(Tensor tensor) {
    return tensor == null ? new TensorOptional() : new TensorOptional(tensor);
  }

  private long[] strides() {
    long[] extents = cell.extents();
    long[] strides = new long[extents.length];
    long stride = cell.channelsLast() ? extents[1] : 1;
    int last = cell.channelsLast() ? 2 : 0;
    for (int i = extents.length - 1; i >= last; i--) {
      strides[i] = stride;
      stride *= extents[i];
    }
    if (cell.channelsLast()) {
      strides[1] = 1;
      strides[0] = stride;
    }
    return strides;
  }

  @Override
  public void call() {
    if (cell.operation() == Operation.RMS) {
      Tensor last = output;
      output = torch.rms_norm(x, new long[] {cell.channels()}, weight, eps);
      if (last != null) {
        last.close();
      }
      return;
    }
    T_TensorTensorTensor_T last = results;
    results = cell.direction() == Direction.BACKWARD ? backward() : forward();
    if (last != null) {
      last.close();
    }
  }

  private T_TensorTensorTensor_T forward() {
    return switch (cell.operation()) {
      case BATCH ->
          torch.native_batch_norm(
              x,
              weight,
              bias,
              optionalRunningMean,
              optionalRunningVariance,
              cell.direction() != Direction.INFERENCE,
              Workload.MOMENTUM,
              Workload.EPS);
      case LAYER ->
          torch.native_layer_norm(x, new long[] {cell.channels()}, weight, bias, Workload.EPS);
      case GROUP, INSTANCE ->
          torch.native_group_norm(
              x,
              weight,
              bias,
              cell.batch(),
              cell.channels(),
              cell.spatial(),
              cell.groups(),
              Workload.EPS);
      case RMS -> throw new IllegalArgumentException("RMS normalization has one result");
    };
  }

  private T_TensorTensorTensor_T backward() {
    return switch (cell.operation()) {
      case BATCH ->
          torch.native_batch_norm_backward(
              dy,
              x,
              weight,
              optionalRunningMean,
              optionalRunningVariance,
              optionalSavedMean,
              optionalSavedInverse,
              true,
              Workload.EPS,
              all);
      case LAYER ->
          torch.native_layer_norm_backward(
              dy, x, new long[] {cell.channels()}, savedMean, savedInverse, weight, bias, all);
      case GROUP, INSTANCE ->
          torch.native_group_norm_backward(
              dy,
              x,
              savedMean,
              savedInverse,
              weight,
              cell.batch(),
              cell.channels(),
              cell.spatial(),
              cell.groups(),
              all);
      case RMS -> throw new IllegalArgumentException("RMS normalization has no operator for it");
    };
  }

  @Override
  public Results results() {
    if (cell.direction() == Direction.BACKWARD) {
      return Results.gradients(ordered(results.get0()), flat(results.get1()), flat(results.get2()));
    }
    float[] y = ordered(results == null ? output : results.get0());
    return cell.operation() == Operation.BATCH && cell.direction() == Direction.TRAINING
        ? Results.training(y, flat(runningMean), flat(runningVariance))
        : Results.output(y);
  }

  /** In the memory order of the cell, whatever order the operator chose. */
  private float[] ordered(Tensor values) {
    try (FloatPointer memory = new FloatPointer(cell.size());
        Tensor target = torch.from_blob(memory, cell.extents(), strides())) {
      target.copy_(values);
      float[] copy = new float[cell.size()];
      memory.get(copy);
      return copy;
    }
  }

  private static float[] flat(Tensor values) {
    float[] copy = new float[(int) values.numel()];
    try (FloatPointer memory = new FloatPointer(copy.length);
        Tensor target = torch.from_blob(memory, copy.length)) {
      target.copy_(values);
      memory.get(copy);
      return copy;
    }
  }

  @Override
  public void close() {
    if (results != null) {
      results.close();
    }
    if (output != null) {
      output.close();
    }
    scope.close();
  }
}
