package io.nativenorm.cli;

import io.nativenorm.NativeNorm;
import io.nativenorm.NativeNormException;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.nio.charset.Charset;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import picocli.AutoComplete.GenerateCompletion;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;

/** The executable jar. Without a command it runs {@code doctor}. */
@Command(
    name = "nativenorm",
    description = "Normalization layers at native speed. Without a command: doctor.",
    mixinStandardHelpOptions = true,
    subcommands = {Doctor.class, Normalize.class, GenerateCompletion.class, FirstCall.class})
public final class Main {
  /** Exit status for arguments and files that cannot be used. */
  static final int UNUSABLE = CommandLine.ExitCode.USAGE;

  /** What a shell shows of a program that SIGPIPE ended. */
  static final int READER_GONE = 128 + 13;

  private final InputStream in;
  private final StandardOutput out;

  private Main(InputStream in, OutputStream out) {
    this.in = in;
    this.out = new StandardOutput(out);
  }

  /** What {@code --version} prints. */
  static final class Version implements IVersionProvider {
    @Override
    public String[] getVersion() {
      return NativeNorm.describe().split("\n");
    }
  }

  /**
   * Runs a command and ends the process with its exit status: 0 done, 1 a check failed, 2 arguments
   * or files that cannot be used, 141 nobody reads the output.
   *
   * @param args the command and its options
   */
  public static void main(String[] args) {
    System.exit(
        run(
            new FileInputStream(FileDescriptor.in),
            new FileOutputStream(FileDescriptor.out),
            args));
  }

  /** Runs a command on standard input and output, and returns its exit status. */
  static int run(InputStream in, OutputStream out, String... args) {
    Main main = new Main(in, out);
    CommandLine commandLine = new CommandLine(main);
    commandLine.setCaseInsensitiveEnumValuesAllowed(true);
    commandLine.setParameterExceptionHandler(Main::explainUsage);
    commandLine.setExecutionExceptionHandler(main::explainFailure);
    commandLine.setExecutionStrategy(Main::runWithinMemory);
    commandLine.setOut(new PrintWriter(new OutputStreamWriter(main.out, charset())));
    describe(commandLine);
    int status = commandLine.execute(args.length == 0 ? new String[] {"doctor"} : args);
    commandLine.getOut().flush();
    return main.out.failure().map(e -> explainLostOutput(commandLine, e)).orElse(status);
  }

  /** Of standard output where the JVM tells it (19 and later), else of the system. */
  private static Charset charset() {
    return Charset.forName(System.getProperty("stdout.encoding", Charset.defaultCharset().name()));
  }

  /** What is the same for all commands, picocli's own included. */
  private static void describe(CommandLine commandLine) {
    Map<String, String> statuses = new LinkedHashMap<>();
    statuses.put("0", "Done.");
    statuses.put("1", "A check of doctor failed, or the program itself.");
    statuses.put("2", "Arguments or files that cannot be used.");
    statuses.put("141", "Nobody reads the output any more.");
    CommandSpec spec = commandLine.getCommandSpec();
    spec.versionProvider(new Version());
    spec.usageMessage().exitCodeListHeading("%nExit status:%n").exitCodeList(statuses);
    commandLine.getSubcommands().values().forEach(Main::describe);
  }

  InputStream in() {
    return in;
  }

  StandardOutput out() {
    return out;
  }

  private static int runWithinMemory(CommandLine.ParseResult arguments) {
    try {
      return new CommandLine.RunLast().execute(arguments);
    } catch (OutOfMemoryError e) {
      List<CommandLine> commands = arguments.asCommandLineList();
      CommandLine command = commands.get(commands.size() - 1);
      say(
          command,
          "too large for the memory that is there, which java's -Xmx bounds: " + e.getMessage());
      return UNUSABLE;
    }
  }

  private static int explainUsage(ParameterException e, String[] args) {
    CommandLine command = e.getCommandLine();
    say(command, e.getMessage() + " (see " + command.getCommandSpec().qualifiedName() + " --help)");
    return UNUSABLE;
  }

  private int explainFailure(Exception e, CommandLine command, CommandLine.ParseResult arguments) {
    if (out.failure().isPresent()) {
      return UNUSABLE; // explained at the end
    }
    if (StandardOutput.isBrokenPipe(e.getCause())) {
      return READER_GONE;
    }
    boolean unusable =
        e instanceof UnusableInputException
            || e instanceof IllegalArgumentException
            || e instanceof NativeNormException;
    say(command, unusable ? e.getMessage() : e.toString());
    return unusable ? UNUSABLE : CommandLine.ExitCode.SOFTWARE;
  }

  private static int explainLostOutput(CommandLine command, IOException e) {
    if (StandardOutput.isBrokenPipe(e)) {
      return READER_GONE;
    }
    say(
        command,
        new UnusableInputException("standard output", "cannot be written", e).getMessage());
    return UNUSABLE;
  }

  /** One line, whatever is in a file's name. */
  private static void say(CommandLine command, String message) {
    String name = command.getCommandSpec().qualifiedName();
    command.getErr().println(name + ": " + message.replaceAll("\\p{Cc}+", " "));
  }
}
