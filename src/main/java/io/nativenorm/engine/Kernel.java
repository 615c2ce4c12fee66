package io.nativenorm.engine;

/**
 * A problem made ready to run: every decision is taken and everything that lasts is allocated. Many
 * threads may execute one kernel at once.
 */
public abstract class Kernel {
  private final String name;
  private final Lifetime lifetime = new Lifetime(this::free);

  /**
   * Creates a kernel.
   *
   * @param name the engine, and which of its implementations this is
   */
  protected Kernel(String name) {
    this.name = name;
  }

  /**
   * Runs the problem this kernel was prepared for.
   *
   * @param operands all memory the problem asks for
   */
  public abstract void execute(Operands operands);

  /** Frees what the kernel holds; called once, when it is neither cached nor in use. */
  protected void free() {}

  /**
   * Engine and implementation, for {@code explain}.
   *
   * @return such as {@code onednn jit:uni}
   */
  public final String name() {
    return name;
  }

  final Lifetime lifetime() {
    return lifetime;
  }
}
