package io.nativenorm.engine;

import io.nativenorm.engine.memory.ArenaHold;
import io.nativenorm.engine.memory.FloatView;
import io.nativenorm.engine.memory.Memory;
import java.util.function.Consumer;

/**
 * The memory one execution of a {@link Plan} reads and writes, by its slots. It stays the caller's
 * and must stay valid until the execution returns. Where {@link Plan#holdsArrays} says so, tensors
 * and parameter gradients may be heap arrays instead.
 */
public final class Operands {
  private static final int SLOTS = Slot.values().length;

  /** No operand at all. */
  public static final Operands NONE = builder().build();

  private final Memory[] memories;

  /** Null without any. */
  private final float[][] arrays;

  private final double count;
  private final boolean accumulates;
  private final boolean held;

  private Operands(Memory[] memories, float[][] arrays, double count, boolean accumulates) {
    this.memories = memories;
    this.arrays = arrays;
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
      return new Operands(memories, arrays, count, accumulates);
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
    return new Operands(changed, arrays, count, accumulates);
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
    Operands plain = new Operands(open, arrays, count, accumulates);
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
