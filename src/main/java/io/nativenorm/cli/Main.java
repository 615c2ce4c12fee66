package io.nativenorm.cli;

import io.nativenorm.NativeNorm;
import io.nativenorm.NativeNormException;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.ParameterException;

/** The executable jar. Without a command it runs {@code doctor}. */
@Command(
    name = "nativenorm",
    description = "Normalization layers at native speed. Without a command: doctor.",
    mixinStandardHelpOptions = true,
    versionProvider = Main.Version.class,
    subcommands = {Doctor.class, Normalize.class, FirstCall.class})
public final class Main {
  /** Exit status for arguments and files that cannot be used. */
  static final int UNUSABLE = CommandLine.ExitCode.USAGE;

  private Main() {}

  /** What {@code --version} prints. */
  static final class Version implements IVersionProvider {
    @Override
    public String[] getVersion() {
      return NativeNorm.describe().split("\n");
    }
  }

  /**
   * Runs a command and ends the process with its exit status: 0 done, 1 failed, 2 not understood.
   *
   * @param args the command and its options
   */
  public static void main(String[] args) {
    System.exit(run(args));
  }

  /** Runs a command and returns its exit status. */
  static int run(String... args) {
    CommandLine commandLine = new CommandLine(new Main());
    commandLine.setCaseInsensitiveEnumValuesAllowed(true);
    commandLine.setParameterExceptionHandler(Main::explainUsage);
    commandLine.setExecutionExceptionHandler(Main::explainFailure);
    return commandLine.execute(args.length == 0 ? new String[] {"doctor"} : args);
  }

  private static int explainUsage(ParameterException e, String[] args) {
    CommandLine command = e.getCommandLine();
    String name = command.getCommandSpec().qualifiedName();
    command.getErr().println(name + ": " + e.getMessage() + " (see " + name + " --help)");
    return UNUSABLE;
  }

  private static int explainFailure(
      Exception e, CommandLine command, CommandLine.ParseResult arguments) {
    String name = command.getCommandSpec().qualifiedName();
    boolean unusable =
        e instanceof UnusableInputException
            || e instanceof IllegalArgumentException
            || e instanceof NativeNormException;
    command.getErr().println(name + ": " + (unusable ? e.getMessage() : e.toString()));
    return unusable ? UNUSABLE : CommandLine.ExitCode.SOFTWARE;
  }
}
