# Makes the queue, its custom fields and the scrip: rt-setup.pl path/to/rt-scrip.pl
use strict;
use warnings;
use lib '/usr/share/request-tracker5/lib';
use RT -init;

my $queue = RT::Queue->new( RT->SystemUser );
$queue->Load('Changes');
$queue->Create( Name => 'Changes', Description => 'Change requests' ) unless $queue->Id;
for my $name (
    'Change type', 'CI', 'Service', 'Risk', 'Planned start', 'Planned end', 'Implementation plan',
    'Backout plan', 'Test plan', 'Incident probability', 'Incident band',
  )
{
    my $field = RT::CustomField->new( RT->SystemUser );
    my ( $id, $said ) = $field->Create(
        Name       => $name,
        Type       => 'Freeform',
        MaxValues  => 1,
        LookupType => RT::Ticket->CustomFieldLookupType,
    );
    die "$name: $said" unless $id;
    $field->AddToObject($queue);
}
open my $file, '<', $ARGV[0] or die "$ARGV[0]: $!";
my $code = do { local $/; <$file> };
my $scrip = RT::Scrip->new( RT->SystemUser );
my ( $id, $said ) = $scrip->Create(
    Queue                  => $queue->Id,
    Description            => 'Ask change-risk',
    ScripCondition         => 'On Create',
    ScripAction            => 'User Defined',
    Template               => 'Blank',
    CustomIsApplicableCode => 'return 1;',
    CustomPrepareCode      => 'return 1;',
    CustomCommitCode       => $code,
);
die $said unless $id;
print "done\n";
