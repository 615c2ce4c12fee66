package io.nativenorm.engine;

import io.nativenorm.engine.memory.Memory;

/**
 * A problem made ready to run by an engine: every decision is taken and everything that lasts is
 * allocated. Many threads may execute one plan at once, each on operands of its own.
 */
public abstract class Plan {
  private final String name;
  private final Lifetime lifetime = new Lifetime(this::free);

  /** Null in a plan that is part of another. */
  private Problem problem;

  /**
   * Creates a plan.
   *
   * @param name the engine, and which of its implementations this is
   */
  protected Plan(String name) {
    this.name = name;
  }

  /**
   * Runs the problem this plan was prepared for. Arenas stay open meanwhile, here and in the
   * others.
   *
   * @param operands all memory the problem asks for
   */
  public final void execute(Operands operands) {
    if (operands.areHeld()) {
      operands.hold(this::run);
    } else {
      run(operands);
    }
  }

  /**
   * Runs a problem of inference. An engine that can do it allocates nothing.
   *
   * @param src input
   * @param dst output, which may be the input
   * @param constants all other memory the problem asks for
   */
  public final void infer(Memory src, Memory dst, Operands constants) {
    if (src.isHeld() || dst.isHeld() || constants.areHeld()) {
      execute(constants.with(Slot.SRC, src).with(Slot.DST, dst));
    } else {
      run(src, dst, constants);
    }
  }

  /**
   * Runs a problem of inference of rows with parameters that change from call to call.
   *
   * @param src input
   * @param dst output, which may be the input
   * @param weight the weight
   * @param bias the bias, or null if the problem has none
   */
  public void infer(Memory src, Memory dst, Memory weight, Memory bias) {
    execute(
        Operands.builder()
            .put(Slot.SRC, src)
            .put(Slot.DST, dst)
            .put(Slot.WEIGHT, weight)
            .put(Slot.BIAS, bias)
            .build());
  }

  /**
   * Runs a problem of inference on heap arrays as they are, if the engine can and it does not hold
   * off the collector for long.
   *
   * @param src input, which has all elements of the problem from a place on
   * @param srcFrom that place
   * @param dst output, which may be the input
   * @param dstFrom its place
   * @param constants all other memory the problem asks for
   * @return false if nothing was done: the arrays must be copied
   */
  public final boolean infer(
      float[] src, int srcFrom, float[] dst, int dstFrom, Operands constants) {
    if (!constants.areHeld()) {
      return run(src, srcFrom, dst, dstFrom, constants);
    }
    boolean[] done = new boolean[1];
    constants.hold(open -> done[0] = run(src, srcFrom, dst, dstFrom, open));
    return done[0];
  }

  /**
   * The same of rows whose parameters are in heap arrays too.
   *
   * @param src input, which has all rows of the problem from a place on
   * @param srcFrom that place
   * @param dst output, which may be the input
   * @param dstFrom its place
   * @param weight the weight, from a place on
   * @param weightFrom that place
   * @param bias the bias, or null if the problem has none
   * @param biasFrom its place
   * @return false if nothing was done: the arrays must be copied
   */
  public boolean infer(
      float[] src,
      int srcFrom,
      float[] dst,
      int dstFrom,
      float[] weight,
      int weightFrom,
      float[] bias,
      int biasFrom) {
    return false;
  }

  /**
   * The same with the weight elsewhere, which the caller keeps there, and no bias.
   *
   * @param src input, which has all rows of the problem from a place on
   * @param srcFrom that place
   * @param dst output, which may be the input
   * @param dstFrom its place
   * @param weight the weight's address
   * @return false if nothing was done: the arrays must be copied
   */
  public boolean infer(float[] src, int srcFrom, float[] dst, int dstFrom, long weight) {
    return false;
  }

  /**
   * Runs a problem of backward whose gradients may be wanted or not: the slots of those that are
   * not are empty. Where the operands say so, the parameters' gradients are added to what is there,
   * each sum rounded once more. An engine that can do it computes no more than that.
   *
   * @param operands all memory the problem asks for, but for gradients
   */
  public final void differentiate(Operands operands) {
    if (operands.areHeld()) {
      operands.hold(this::runGradients);
    } else {
      runGradients(operands);
    }
  }

  /** What {@link #execute} does. */
  protected abstract void run(Operands operands);

  /** What {@link #infer(Memory, Memory, Operands)} does. */
  protected void run(Memory src, Memory dst, Operands constants) {
    run(constants.with(Slot.SRC, src).with(Slot.DST, dst));
  }

  /** What {@link #infer(float[], int, float[], int, Operands)} does. */
  protected boolean run(float[] src, int srcFrom, float[] dst, int dstFrom, Operands constants) {
    return false;
  }

  /** What {@link #differentiate} does. */
  protected void runGradients(Operands operands) {
    WantedGradients.run(this, operands);
  }

  /**
   * Whether the parameters' gradients are written always.
   *
   * @return true if {@link #execute} must have memory for them
   */
  protected boolean needsParameterGradients() {
    return false;
  }

  /**
   * Whether this thread may now execute this plan on heap arrays as they are.
   *
   * @param calls how many times, one right after the other
   * @return false if they must be copied
   */
  public boolean holdsArrays(long calls) {
    return false;
  }

  /** Frees what the plan holds; called once, when it is neither cached nor in use. */
  protected void free() {}

  /**
   * Engine and implementation, for {@code explain}.
   *
   * @return such as {@code onednn jit:uni}
   */
  public final String name() {
    return name;
  }

  /** Says what the plan was prepared for, before others see it. */
  final void beFor(Problem what) {
    problem = what;
  }

  final Problem problem() {
    return problem;
  }

  final Lifetime lifetime() {
    return lifetime;
  }
}
