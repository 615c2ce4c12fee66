package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.nativenorm.engine.Engines;
import io.nativenorm.engine.Norm;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Shape;
import io.nativenorm.engine.StatisticsSource;
import io.nativenorm.engine.Storage;
import io.nativenorm.engine.Task;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Inputs and outputs in 16 bits, on every engine that has them: every result is by bits that of F32
 * on the same numbers, rounded once to the type it is stored in; statistics and the gradients of
 * parameters, which are F32, are those of F32. A ReLU's gradient is masked by y as it is stored.
 *
 * <p>Every operation meets every pair of types at every size here. What else a problem has (weight,
 * bias, activation, a far mean, units of extreme values) is drawn for each by its number, since a
 * type is met where elements are read and written, which these do not change.
 */
class StoredTypesTest {
  private static final List<DataType> SHORT = List.of(DataType.BF16, DataType.F16);

  /** Around vectors, and beyond the 4096 elements that JAVA takes at once. */
  private static final int[][] ROWS = {
    {1, 1}, {3, 2}, {2, 7}, {5, 8}, {4, 15}, {3, 16}, {3, 33}, {7, 63}, {4, 255}, {9, 768},
    {2, 4097}, {70, 300}
  };

  /** Samples, channels, positions: columns beyond 2048 are cut into strips. */
  private static final int[][] IMAGES = {
    {2, 1, 3},
    {1, 4, 2},
    {3, 6, 1},
    {2, 15, 7},
    {3, 16, 16},
    {2, 33, 31},
    {1, 64, 17},
    {5, 61, 40},
    {2, 2100, 2},
    {1, 3, 4100}
  };

  /** What is normalized together. */
  enum Kind {
    BATCH,
    BATCH_GIVEN,
    LAYER,
    RMS,
    GROUP,
    INSTANCE;

    boolean isRows() {
      return this == LAYER || this == RMS;
    }

    Norm norm(double eps) {
      return switch (this) {
        case BATCH -> new Norm(Operation.BATCH, StatisticsSource.COMPUTED, eps);
        case BATCH_GIVEN -> new Norm(Operation.BATCH, StatisticsSource.GIVEN, eps);
        case LAYER -> new Norm(Operation.LAYER, StatisticsSource.COMPUTED, eps);
        case RMS -> new Norm(Operation.RMS, StatisticsSource.COMPUTED, eps);
        case GROUP, INSTANCE -> new Norm(Operation.GROUP, StatisticsSource.COMPUTED, eps);
      };
    }

    List<Shape> shapes() {
      List<Shape> shapes = new ArrayList<>();
      if (isRows()) {
        for (int[] rows : ROWS) {
          shapes.add(Shape.ofRows(rows[0], rows[1]));
        }
        return shapes;
      }
      for (int[] image : IMAGES) {
        int c = image[1];
        int groups = this == INSTANCE ? c : this == GROUP && c % 3 == 0 ? 3 : 1;
        for (Layout layout : Layout.values()) {
          shapes.add(new Shape(layout, image[0], c, image[2], groups));
        }
      }
      return shapes;
    }
  }

  /**
   * What an engine has beside F32. One that has less, or more than is written here, fails: nothing
   * goes untested without a word.
   */
  private static boolean has(Backend engine, Problem problem) {
    Storage storage = problem.storage();
    return switch (engine) {
      case FUSED, JAVA -> true;
      case ONEDNN, AUTO -> false;
    };
  }

  private static List<Storage> storages() {
    List<Storage> storages = new ArrayList<>();
    for (DataType type : SHORT) {
      storages.add(Storage.of(type));
      storages.add(new Storage(DataType.F32, type, DataType.F32));
      storages.add(new Storage(type, DataType.F32, DataType.F32));
    }
    return storages;
  }

  @ParameterizedTest
  @SameOnAnyJvm
  @EnumSource(Kind.class)
  void everyResultIsThatOfF32RoundedOnce(Kind kind) {
    int number = 0;
    for (Shape shape : kind.shapes()) {
      for (Storage storage : storages()) {
        check(new StoredProblem(kind.norm(eps(kind, number)), shape, storage, number++));
      }
    }
  }

  /** BatchNorm has a use for an eps of 0 only where its statistics are given. */
  private static double eps(Kind kind, int number) {
    return kind != Kind.BATCH && number % 5 == 3 ? 0 : 1e-5;
  }

  private static void check(StoredProblem problem) {
    for (Backend engine : TestEngines.named().toList()) {
      check(problem, engine, Task.INFER);
      if (problem.hasStatistics()) {
        check(problem, engine, Task.TRAIN);
      }
      check(problem, engine, Task.BACKWARD);
    }
  }

  private static void check(StoredProblem problem, Backend engine, Task task) {
    Problem stored = problem.of(problem.storage(), task);
    boolean runs = Engines.verdicts(stored, engine).stream().anyMatch(v -> v.engine().isPresent());
    assertEquals(
        has(engine, stored), runs, () -> problem + ": whether " + engine + " has " + stored);
    if (!runs) {
      return;
    }
    try (StoredProblem.Run wide = problem.run(Storage.of(DataType.F32), engine, task);
        StoredProblem.Run found = problem.run(problem.storage(), engine, task)) {
      wide.execute(false);
      found.execute(false);
      found.assertRounded(wide, problem + " on " + engine);
      if (problem.storage().src() == problem.storage().dst()) {
        found.execute(true);
        found.assertRounded(wide, problem + " in place on " + engine);
      }
    }
  }
}
