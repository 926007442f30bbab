//! Coverage and profiles of counts that were made by hand.

use ebpfkit_explain::coverage::{self, Coverage};
use ebpfkit_explain::profile::Profile;
use ebpfkit_object::Object;
use ebpfkit_object::counts::{Call, Counts, ProgramCounts};

const SOURCE: &str = "\
.section xdp
.func main
  r0 = 1
  if r1 == 0 goto out
  call helper
out:
  exit
.section .text
.func helper
  r0 = 2
  exit
";

/// Two runs, one of which calls the function: slots are `r0 = 1`, the jump, the call, `exit`, `r0 = 2`, `exit`.
const EXECUTED: [u64; 6] = [2, 2, 1, 2, 1, 1];
const JUMPED: [u64; 6] = [0, 1, 0, 0, 0, 0];

fn object() -> Object {
    ebpfkit_asm::assemble_object("two.s", SOURCE).unwrap_or_else(|e| panic!("{e}"))
}

fn counts() -> Counts {
    let name = object().programs[0].name.clone();
    let (executed, jumped) = (EXECUTED.to_vec(), JUMPED.to_vec());
    Counts { programs: vec![ProgramCounts { name, executed, jumped, time_ns: vec![10; 6] }], calls: Vec::new() }
}

fn coverage(counts: &Counts) -> Coverage {
    let object = object();
    Coverage::of(&object, &[&object.programs[0]], counts)
}

#[test]
fn tracefiles_have_every_line_and_both_ways_of_jumps() {
    let expected = "\
TN:
SF:two.s
FN:3,main
FN:10,helper
FNDA:2,main
FNDA:1,helper
FNF:2
FNH:2
BRDA:4,0,0,1
BRDA:4,0,1,1
BRF:2
BRH:2
DA:3,2
DA:4,2
DA:5,1
DA:7,2
DA:10,1
DA:11,1
LF:6
LH:6
end_of_record
";
    assert_eq!(coverage::lcov(&coverage(&counts())), expected);
}

#[test]
fn runs_add_up_and_what_never_ran_counts() {
    let mut all = coverage(&Counts::default());
    assert_eq!((all.totals().lines.hit, all.totals().lines.all), (0, 6));
    all.add(coverage(&counts()));
    all.add(coverage(&counts()));
    let file = &all.files["two.s"];
    assert_eq!(file.lines[&3].hits, 4);
    assert_eq!((file.functions[0].hits, file.functions[1].hits), (4, 2));
    assert_eq!((file.lines[&4].branches[0].jumped, file.lines[&4].branches[0].went_on), (2, 2));
    let xml = coverage::cobertura(&all);
    assert!(xml.contains("<line number=\"4\" hits=\"4\" branch=\"true\" condition-coverage=\"100% (2/2)\"/>"), "{xml}");
}

#[test]
fn stacks_name_the_callers() {
    let object = object();
    let call = |caller, function, insns| Call { caller, program: 0, function, insns, time_ns: 0 };
    let counts = Counts { calls: vec![call(None, 0, 7), call(Some(0), 4, 2)], ..counts() };
    let profile = Profile::of(&object, &counts);
    assert_eq!(profile.folded(), "main 7\nmain;helper 2\n");
    assert_eq!((profile.total.insns, profile.total.time_ns), (9, 60));
    assert_eq!(profile.functions[1].function, "helper");
    assert_eq!((profile.lines[0].line, profile.lines[0].cost.insns), (3, 2));
}
