package io.nativenorm.engine;

import io.nativenorm.engine.memory.ArenaHold;
import io.nativenorm.engine.memory.FloatView;
import io.nativenorm.engine.memory.Memory;
import java.util.List;
import java.util.function.Consumer;

/**
 * The memory one execution of a {@link Plan} reads and writes, by its slots. It stays the caller's
 * and must stay valid until the execution returns. Where {@link Plan#holdsArrays} says so, tensors
 * and parameter gradients may be heap arrays instead.
 */
public final class Operands {
  private static final int SLOTS = Slot.values().length;

  /** What has an element for each of the input's. */
  private static final List<Slot> TENSORS =
      List.of(Slot.SRC, Slot.DST, Slot.DIFF_DST, Slot.DIFF_SRC);

  /** No operand at all. */
  public static final Operands NONE = builder().build();

  private final Memory[] memories;

  /** Null without any. */
  private final float[][] arrays;

  /** Where in the arrays of tensors the elements begin. */
  private final long arraysFrom;

  private final double count;
  private final boolean accumulates;
  private final boolean held;

  private Operands(
      Memory[] memories, float[][] arrays, long arraysFrom, double count, boolean accumulates) {
    this.memories = memories;
    this.arrays = arrays;
    this.arraysFrom = arraysFrom;
    this.count = count;
    this.accumulates = accumulates;
    boolean any = false;
    for (Memory memory : memories) {
      any |= memory != null && memory.isHeld();
    }
    held = any;
  }

  /** Operands in the making: one by one, {@link #with} took a tenth of a small training step. */
  public static final class Builder {
    private final Memory[] memories = new Memory[SLOTS];
    private float[][] arrays;
    private double count;
    private boolean accumulates;

    private Builder() {}

    /**
     * Adds an operand.
     *
     * @param slot its role
     * @param memory null for none
     * @return this
     */
    public Builder put(Slot slot, Memory memory) {
      memories[slot.ordinal()] = memory;
      return this;
    }

    /**
     * Adds an operand on the heap.
     *
     * @param slot its role
     * @param array all of its elements
     * @return this
     */
    public Builder put(Slot slot, float[] array) {
      if (arrays == null) {
        arrays = new float[SLOTS][];
      }
      arrays[slot.ordinal()] = array;
      return this;
    }

    /**
     * Says whether {@link Plan#differentiate} adds to the parameters' gradients.
     *
     * @param adds whether it does, instead of writing them
     * @return this
     */
    public Builder accumulate(boolean adds) {
      accumulates = adds;
      return this;
    }

    /**
     * Sets what {@link Task#APPLY_GRADIENTS} divides its sums by.
     *
     * @param values how many values each channel has, in all workers' batches together
     * @return this
     */
    public Builder count(double values) {
      count = values;
      return this;
    }

    /**
     * Ends the making.
     *
     * @return the operands, for which this is used up
     */
    public Operands build() {
      return new Operands(memories, arrays, 0, count, accumulates);
    }
  }

  /**
   * Begins with no operand.
   *
   * @return a builder
   */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * The same operands but for one.
   *
   * @param slot its role
   * @param memory what it is now; null for none
   * @return other operands
   */
  public Operands with(Slot slot, Memory memory) {
    if (get(slot) == memory) {
      return this;
    }
    Memory[] changed = memories.clone();
    changed[slot.ordinal()] = memory;
    return new Operands(changed, arrays, arraysFrom, count, accumulates);
  }

  /**
   * The same operands of some samples that follow each other and have means and variances of their
   * own.
   *
   * @param from the first of their elements
   * @param elements how many they have
   * @param statistic the first of their means, and of their variances
   * @param units how many of each they have
   * @param diffWeight where their gradient of the weight is written; null if it is not wanted
   * @param diffBias likewise of the bias
   * @return operands of which all others are on a part of the same memory
   */
  public Operands ofSamples(
      long from, long elements, long statistic, long units, Memory diffWeight, Memory diffBias) {
    Memory[] parts = memories.clone();
    for (Slot slot : TENSORS) {
      slice(parts, slot, from, elements);
    }
    slice(parts, Slot.MEAN, statistic, units);
    slice(parts, Slot.VARIANCE, statistic, units);
    parts[Slot.DIFF_WEIGHT.ordinal()] = diffWeight;
    parts[Slot.DIFF_BIAS.ordinal()] = diffBias;
    float[][] heap = arrays == null ? null : arrays.clone();
    if (heap != null) {
      heap[Slot.DIFF_WEIGHT.ordinal()] = null;
      heap[Slot.DIFF_BIAS.ordinal()] = null;
    }
    return new Operands(parts, heap, arraysFrom + from, count, false);
  }

  private static void slice(Memory[] memories, Slot slot, long from, long elements) {
    Memory whole = memories[slot.ordinal()];
    memories[slot.ordinal()] = whole == null ? null : whole.slice(from, elements);
  }

  /**
   * Whether some operands are on the heap.
   *
   * @return false if {@link #array} gives null for each
   */
  public boolean hasArrays() {
    return arrays != null;
  }

  /**
   * An operand on the heap.
   *
   * @param slot its role
   * @return its array, or null if it is not one
   */
  public float[] array(Slot slot) {
    return arrays == null ? null : arrays[slot.ordinal()];
  }

  /**
   * Where in the arrays of input, output and their gradients the elements begin.
   *
   * @return 0 but for {@link #ofSamples}
   */
  public long arraysFrom() {
    return arraysFrom;
  }

  /**
   * Whether the parameters' gradients are added to.
   *
   * @return false if they are written
   */
  public boolean accumulates() {
    return accumulates;
  }

  /**
   * An operand.
   *
   * @param slot its role
   * @return its memory, or null if there is none
   */
  public Memory get(Slot slot) {
    return memories[slot.ordinal()];
  }

  /**
   * Whether there is an operand.
   *
   * @param slot its role
   * @return false if {@link #get} gives null
   */
  public boolean has(Slot slot) {
    return get(slot) != null;
  }

  /** Whether one must be held while it is used. */
  boolean areHeld() {
    return held;
  }

  /** Runs a use of them, during which arenas stay open. */
  void hold(Consumer<Operands> use) {
    Memory[] open = new Memory[SLOTS];
    for (int i = 0; i < SLOTS; i++) {
      open[i] = memories[i] == null ? null : memories[i].whileHeld();
    }
    Operands plain = new Operands(open, arrays, arraysFrom, count, accumulates);
    ArenaHold.during(memories, () -> use.accept(plain));
  }

  /**
   * How many values a merged sum is of.
   *
   * @return 0 except for {@link Task#APPLY_GRADIENTS}
   */
  public double count() {
    return count;
  }

  /**
   * An operand for native code.
   *
   * @param slot its role
   * @return its address, or 0 if there is none
   */
  public long address(Slot slot) {
    Memory memory = get(slot);
    return memory == null ? 0 : memory.address();
  }

  /**
   * An operand for Java code.
   *
   * @param slot its role
   * @return its floats, or null if there is none
   */
  public FloatView view(Slot slot) {
    Memory memory = get(slot);
    return memory == null ? null : memory.view();
  }
}
