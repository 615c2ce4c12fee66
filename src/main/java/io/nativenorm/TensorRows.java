package io.nativenorm;

import io.nativenorm.engine.CallRecord;
import io.nativenorm.engine.Engines;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Recordings;
import io.nativenorm.engine.Storage;
import java.util.Arrays;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The inference of a layer on rows of tensors that lie in pieces, beside {@link Inference}. While
 * they lie as before it allocates nothing, if the engine does not either. The layer is locked and
 * open, and the tensors were checked, while this runs.
 */
final class TensorRows {
  private final NormLayer layer;
  private final Backend backend;
  private final Operands constants;

  private volatile @Nullable Memo memo;

  /** The last call and its plan, which may have been freed since. */
  private record Memo(
      long[] shape,
      Storage storage,
      @Nullable Pieces x,
      @Nullable Pieces y,
      int threads,
      Plan plan) {
    boolean isOf(Tensor a, Tensor b, int wanted) {
      return threads == wanted
          && storage.src() == a.dataType()
          && storage.dst() == b.dataType()
          && Arrays.equals(shape, a.extents())
          && Objects.equals(x, a.pieces())
          && Objects.equals(y, b.pieces());
    }
  }

  TensorRows(NormLayer layer, Backend backend, Operands constants) {
    this.layer = layer;
    this.backend = backend;
    this.constants = constants;
  }

  /** Whether the last call was alike, so that its input fits the layer. */
  boolean know(Tensor x, Tensor y, int threads) {
    Memo known = memo;
    return known != null && known.isOf(x, y, threads);
  }

  void run(Tensor x, Tensor y, int threads) {
    CallRecord record = Recordings.call();
    Memo used = acquire(x, y, threads);
    try {
      used.plan.infer(x.span(), y.span(), constants);
    } finally {
      Engines.release(used.plan);
    }
    if (record != null) {
      record.end(layer.name, used.plan, false);
    }
  }

  private Memo acquire(Tensor x, Tensor y, int threads) {
    Memo known = memo;
    if (known != null && known.isOf(x, y, threads) && Engines.reacquire(known.plan)) {
      return known;
    }
    Storage storage = new Storage(x.dataType(), y.dataType(), DataType.F32);
    Problem close = layer.inferenceProblem(x.extents(), storage, x.layout(), threads);
    Problem problem = RowPlaces.of(layer, close, x.pieces(), y.pieces(), null, null);
    Plan plan = Engines.acquire(problem, backend);
    Memo made = new Memo(x.extents(), storage, x.pieces(), y.pieces(), threads, plan);
    memo = made;
    return made;
  }
}
