package io.nativenorm;

import io.nativenorm.engine.Storage;
import java.lang.reflect.Executable;
import java.util.Arrays;

/** What holds after a call, made before it from what goes in. */
interface CallCheck {
  /** After a call that returned. */
  void returned(Object result);

  /** After a call that threw: what it would have written to is as it was. */
  default void threw() {}

  /** More elements are not held against the oracle, whose loops are slow. */
  int MANY = 1 << 18;

  /** The check of a call. */
  static CallCheck before(
      Executable method, Object receiver, Object[] given, CallSubjects subjects, boolean hostile) {
    if (hostile) {
      return untouched(outputOf(method, given));
    }
    if (receiver instanceof NormLayer layer && given.length > 0 && !CallSubjects.isClosed(layer)) {
      LayerSpec spec = subjects.layers.get(layer);
      return switch (method.getName()) {
        case "forward" -> given.length > 3 ? rows(layer, spec, given) : forward(layer, spec, given);
        case "forwardTrainingWithoutUpdate" -> training(layer, spec, (Tensor) given[0], false);
        case "forwardTraining" ->
            given[0] instanceof Tensor input
                ? training(layer, spec, input, CallSubjects.isFrozen(layer))
                : training(layer, spec, (float[]) given[0], (float[]) given[1], (long[]) given[2]);
        case "forwardFrozen" -> spec.tracks ? frozen(layer, spec, (Tensor) given[0]) : result -> {};
        default -> result -> {};
      };
    }
    if (receiver instanceof Pass pass && given.length == 1) {
      return backward(pass, subjects.passes.get(pass), (Tensor) given[0]);
    }
    if (receiver instanceof Pass pass && given.length == 4) {
      boolean adds = method.getName().equals("accumulate");
      return gradients(pass, subjects.passes.get(pass), given, adds);
    }
    return result -> {};
  }

  /** What is written to is called y, or it is the second of two. */
  private static Object outputOf(Executable method, Object[] given) {
    for (int i = 0; i < given.length; i++) {
      if (method.getParameters()[i].getName().equals("y")) {
        return given[i];
      }
    }
    return given.length > 1 ? given[1] : null;
  }

  /** What is not there or closed, cannot be touched. */
  private static CallCheck untouched(Object output) {
    float[] before = contents(output);
    return new CallCheck() {
      @Override
      public void returned(Object result) {}

      @Override
      public void threw() {
        if (before != null && !Arrays.equals(before, contents(output))) {
          throw new AssertionError("the output was touched by a call that failed");
        }
      }
    };
  }

  private static float[] contents(Object output) {
    if (output instanceof float[] array) {
      return array.clone();
    }
    boolean readable =
        output instanceof Tensor t && !t.isClosed() && Storage.COMPUTED.contains(t.dataType());
    return readable ? ((Tensor) output).toArray() : null;
  }

  private static CallCheck forward(NormLayer layer, LayerSpec spec, Object[] given) {
    long[] shape;
    float[] x;
    if (given[0] instanceof Tensor input) {
      shape = input.shape();
      x = CallSubjects.inOrder(input);
    } else {
      x = ((float[]) given[0]).clone();
      Object last = given[given.length - 1];
      if (last instanceof long[] said) {
        shape = said;
      } else if (spec.normalizesRows()) {
        shape = layer.impliedShape(x.length);
      } else {
        return result -> {}; // is refused
      }
    }
    Oracle oracle = oracle(layer, spec, shape, CallNumbers.runningOf(layer));
    return result -> {
      boolean isMasked = given.length > 1 && given[1] instanceof Mask; // which counts all
      Object y = result != null ? result : given[isMasked ? 2 : 1];
      if (y instanceof Tensor tensor) {
        check(spec, oracle, x, tensor);
      } else {
        check(spec, oracle, x, (float[]) y, DataType.F32);
      }
    };
  }

  /** Rows inside arrays: those that are written, and that nothing else is. */
  private static CallCheck rows(NormLayer layer, LayerSpec spec, Object[] given) {
    boolean apart = given.length == 8;
    int count = (int) given[given.length - 1];
    int together = apart ? (int) given[6] : Math.max(1, count);
    int length = spec.rowLength();
    float[] y = (float[]) given[apart ? 3 : 2];
    int[] from = places((int) given[1], apart ? (int) given[2] : 0, together, count, length);
    int[] to =
        places((int) given[apart ? 4 : 3], apart ? (int) given[5] : 0, together, count, length);
    float[] x = gather((float[]) given[0], from, length);
    float[] before = y.clone();
    Oracle oracle = oracle(layer, spec, new long[] {count, length}, null);
    return result -> {
      check(spec, oracle, x, gather(y, to, length), DataType.F32);
      for (int row = 0; row < count; row++) {
        System.arraycopy(y, to[row], before, to[row], length);
      }
      if (!Arrays.equals(before, y)) {
        throw new AssertionError("something between the rows was touched");
      }
    };
  }

  private static int[] places(int from, int stride, int together, int count, int length) {
    int[] places = new int[count];
    Arrays.setAll(places, row -> from + row / together * stride + row % together * length);
    return places;
  }

  private static float[] gather(float[] array, int[] places, int length) {
    float[] rows = new float[places.length * length];
    for (int row = 0; row < places.length; row++) {
      System.arraycopy(array, places[row], rows, row * length, length);
    }
    return rows;
  }

  private static CallCheck training(NormLayer layer, LayerSpec spec, Tensor input, boolean frozen) {
    if (frozen) {
      return frozen(layer, spec, input);
    }
    float[] x = CallSubjects.inOrder(input);
    Oracle oracle = oracle(layer, spec, input.shape(), null);
    return result -> check(spec, oracle, x, ((Pass) result).output());
  }

  private static CallCheck training(
      NormLayer layer, LayerSpec spec, float[] x, float[] y, long[] shape) {
    float[] before = x.clone();
    float[][] running = CallSubjects.isFrozen(layer) ? CallNumbers.runningOf(layer) : null;
    Oracle oracle = oracle(layer, spec, shape, running);
    return result -> check(spec, oracle, before, y, DataType.F32);
  }

  private static CallCheck frozen(NormLayer layer, LayerSpec spec, Tensor input) {
    float[] x = CallSubjects.inOrder(input);
    Oracle oracle = oracle(layer, spec, input.shape(), CallNumbers.runningOf(layer));
    return result -> check(spec, oracle, x, ((Pass) result).output());
  }

  private static void check(LayerSpec spec, Oracle oracle, float[] x, Tensor y) {
    check(spec, oracle, x, CallSubjects.inOrder(y), y.dataType());
  }

  private static void check(LayerSpec spec, Oracle oracle, float[] x, float[] y, DataType type) {
    if (x.length > 0 && x.length <= MANY) {
      CallNumbers.checkForward(spec, oracle, x, y, type);
    }
  }

  /**
   * Given gradients against those of {@link Pass#backward(Tensor)}, by bits; but not dx alone or in
   * dy's place, which may be infinite where it else is not.
   */
  private static CallCheck gradients(
      Pass pass, CallSubjects.Trained trained, Object[] given, boolean adds) {
    boolean arrays = given[0] instanceof float[];
    boolean ordered =
        trained.input().layout() == Layout.CHANNELS_FIRST
            && trained.input().dataType() == DataType.F32;
    boolean alone = given[2] == null && given[3] == null;
    if (alone || given[0] == given[1] || (arrays && !ordered) || !isKnown(pass, trained)) {
      return result -> {};
    }
    Tensor dy =
        arrays ? Tensor.of((float[]) given[0], trained.shape()) : ((Tensor) given[0]).share();
    float[][] expected = new float[3][];
    try (dy;
        Gradients all = pass.backward(dy)) {
      Tensor[] made = {all.input(), all.weight(), all.bias()};
      for (int i = 0; i < expected.length; i++) {
        expected[i] = given[i + 1] == null ? null : made[i].toArray();
        float[] before = adds && i > 0 ? contents(given[i + 1]) : null;
        for (int k = 0; before != null && k < before.length; k++) {
          expected[i][k] = before[k] + expected[i][k];
        }
      }
    } catch (NativeNormException e) {
      return result -> {}; // no engine
    }
    return result -> {
      for (int i = 0; i < expected.length; i++) {
        if (expected[i] != null && !Arrays.equals(expected[i], contents(given[i + 1]))) {
          throw new AssertionError("given gradient " + i + " is not that of backward(dy)");
        }
      }
    };
  }

  private static boolean isKnown(Pass pass, CallSubjects.Trained trained) {
    return trained != null
        && !CallSubjects.isClosed(trained.layer())
        && trained.x().length > 0
        && trained.x().length <= MANY
        && trained.isUnchanged(pass);
  }

  private static CallCheck backward(Pass pass, CallSubjects.Trained trained, Tensor dy) {
    if (!isKnown(pass, trained)) {
      return result -> {};
    }
    float[] gradient = CallSubjects.inOrder(dy);
    Oracle oracle = oracle(trained.layer(), trained.spec(), trained.shape(), trained.running());
    return result ->
        CallNumbers.checkBackward(
            trained.spec(), oracle, trained.x(), gradient, (Gradients) result);
  }

  private static Oracle oracle(NormLayer layer, LayerSpec spec, long[] shape, float[][] running) {
    return spec.oracle(
        shape, CallNumbers.valuesOf(layer.weight()), CallNumbers.valuesOf(layer.bias()), running);
  }
}
