package io.nativenorm;

import io.nativenorm.engine.CallRecord;
import io.nativenorm.engine.Engines;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Recordings;
import io.nativenorm.engine.Shape;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.Storage;
import java.util.Arrays;

/** The calls of a layer with a mask. */
final class Masking {
  private final NormLayer layer;
  private final Backend backend;

  Masking(NormLayer layer, Backend backend) {
    this.layer = layer;
    this.backend = backend;
  }

  /** Inference; with running statistics the mask makes no difference. */
  void forward(Tensor x, Mask mask, Tensor y) {
    long stamp = layer.lock.read();
    try {
      Uses.begin(x, mask.tensor(), y);
      try {
        layer.requireComputed(x);
        Shape shape = requireFit(x, mask);
        if (layer.running() != null || x.size() == 0) {
          layer.inference.run(x, y);
          return;
        }
        layer.inference.requireOutput(x, y);
        requireApart(mask, "the output", y);
        try (CountedPositions counted = CountedPositions.of(mask, shape, x.extents())) {
          requireCounted(shape, counted, x, false);
          infer(shape, counted, x, y);
        }
      } finally {
        Uses.end(x, mask.tensor(), y);
      }
    } finally {
      layer.lock.endRead(stamp);
    }
  }

  private void infer(Shape shape, CountedPositions counted, Tensor x, Tensor y) {
    Storage storage = new Storage(x.dataType(), y.dataType(), DataType.F32);
    Problem problem = masked(layer.problems.inference(shape, storage, layer.threads()));
    CallRecord record = Recordings.call();
    Plan plan = Engines.acquire(problem, backend);
    try {
      plan.infer(
          x.memory(), y.memory(), layer.inference.constants().with(Slot.MASK, counted.memory()));
    } finally {
      Engines.release(plan);
    }
    if (record != null) {
      record.end(layer.name, plan, false);
    }
  }

  /** Training; of frozen statistics the mask makes no difference. */
  Pass forwardTraining(Tensor x, Mask mask) {
    Uses.begin(x, mask.tensor());
    try {
      layer.requireComputed(x);
      Shape shape = requireFit(x, mask);
      if (layer.training.isFrozen(PassKind.TRAINING)) {
        return layer.training.frozen(x); // also if it is thawed meanwhile
      }
      requireWhole(shape);
      CountedPositions counted = CountedPositions.of(mask, shape, x.extents());
      try {
        requireCounted(shape, counted, x, true);
        Problem problem = masked(layer.problems.training(shape, x.dataType(), layer.threads()));
        return layer.training.forward(x, problem, counted);
      } catch (RuntimeException | Error e) {
        counted.close();
        throw e;
      }
    } finally {
      Uses.end(x, mask.tensor());
    }
  }

  /** A batch that is normalized in parts, or is a part. */
  private void requireWhole(Shape shape) {
    if (layer.ghosts(shape.batch()) != null) {
      throw refused("ghost batches and masks are not combined");
    }
    if (layer.isShared()) {
      throw refused("exchanges and masks are not combined");
    }
  }

  private static Problem masked(Problem problem) {
    return problem.withNorm(problem.norm().ofMasked());
  }

  private Shape requireFit(Tensor x, Mask mask) {
    RowPlaces.requireRows(layer, x);
    Shape shape = layer.shapeOf(x.extents(), x.layout());
    long[] extents = x.extents();
    if (extents[0] > Integer.MAX_VALUE) {
      throw refused("masks are of fewer than 2^31 samples, but got " + x);
    }
    if (mask.perSample() != null) {
      requireLengths(x, mask.perSample());
      return shape;
    }
    long[] expected = new long[extents.length - 1];
    expected[0] = extents[0];
    System.arraycopy(extents, 2, expected, 1, expected.length - 1);
    if (!Arrays.equals(expected, mask.tensor().extents())) {
      throw refused(
          "expected a mask of shape " + Shapes.text(expected) + " for " + x + ", but got " + mask);
    }
    return shape;
  }

  private void requireLengths(Tensor x, long[] lengths) {
    long[] extents = x.extents();
    if (extents.length < 3) {
      throw refused("lengths are of the first spatial dimension, and there is none in " + x);
    }
    if (lengths.length != extents[0]) {
      throw refused(
          "expected a length for each of " + extents[0] + " samples, but got " + lengths.length);
    }
    for (int n = 0; n < lengths.length; n++) {
      if (lengths[n] > extents[2]) {
        throw refused(
            "the length of sample " + n + " is " + lengths[n] + ", of at most " + extents[2]);
      }
    }
  }

  /** What an input's own statistics ask for, of what counts. */
  private void requireCounted(Shape shape, CountedPositions counted, Tensor x, boolean training) {
    boolean batch = layer.problems.operation() == Operation.BATCH;
    boolean needsTwo =
        (batch || training) && layer instanceof RunningNorm norm && !norm.passesOneValue();
    long[] each = batch ? new long[] {counted.all()} : counted.ofSample();
    for (int i = 0; i < each.length; i++) {
      if (needsTwo && each[i] == 1) {
        throw refused(
            "expected a mask that counts more than 1 value per channel"
                + (batch ? ", but it counts 1 in " : " of sample " + i + ", but it counts 1 in ")
                + x);
      }
      Shape whatCounts = shape.withSamples(1, each[i]);
      layer.checkComputable(whatCounts, x.extents());
      if (training) {
        layer.checkTrainable(whatCounts, x.extents());
      }
    }
  }

  private void requireApart(Mask mask, String name, Tensor written) {
    if (mask.tensor() != null && Overlap.isThere(mask.tensor(), written)) {
      throw refused(name + " must be apart from the mask, but overlaps it");
    }
  }

  private IllegalArgumentException refused(String what) {
    return new IllegalArgumentException(layer + ": " + what);
  }
}
